"""What the machine brings: devices, processes, precision, threads, memory."""
