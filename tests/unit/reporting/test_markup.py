from pumice.reporting.markup import Html, joined, tag


def test_text_and_attributes_are_escaped():
    assert tag("p", "<b>", title='"&<') == '<p title="&quot;&amp;&lt;">&lt;b&gt;</p>'
    assert tag("p", ["<", ["&"]], 3, None) == "<p>&lt;&amp;3</p>"


def test_elements_are_not_escaped_twice():
    assert tag("p", tag("b", "<"), Html("<i>")) == "<p><b>&lt;</b><i></p>"
    assert isinstance(joined("a"), Html)


def test_attributes():
    assert tag("td", class_="a", aria_label="b", hidden=True, title=None, open=False) == (
        '<td class="a" aria-label="b" hidden></td>'
    )
    assert tag("meta", name="viewport") == '<meta name="viewport">'
