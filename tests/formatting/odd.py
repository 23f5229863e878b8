"""Files as people and programs really leave them: each holds one oddity, and all of them are YAML that is read."""

from typing import Final

LONG: Final = ", ".join(f"entry-number-{number}" for number in range(20))

ODD: Final[dict[str, str]] = {
    "comments everywhere": (
        "# head\n"
        "\n"
        "# nearer\n"
        "type: MeshTimeout # of the type\n"
        "mesh: shop\n"
        "# before the name\n"
        "name: slow   # of the name\n"
        "\n"
        "# a paragraph alone\n"
        "\n"
        "spec: # of the spec\n"
        "  # first in the spec\n"
        "  to: # of the list\n"
        "  # before the entry\n"
        "  - targetRef: {kind: Mesh} # of a flow mapping\n"
        "    default:\n"
        "      # deep\n"
        "      connectionTimeout: 5s\n"
        "\n"
        "      # last of the default\n"
        "    # last of the entry\n"
        "  # last of the list\n"
        "# last of the document\n"
    ),
    "a comment between documents": ("type: Mesh\nname: a\n# foot of a\n---\n# head of b\ntype: Mesh\nname: b\n"),
    "a comment beside the marker": (
        "--- # beside\ntype: Mesh\nname: a\n...\n# after the end\n---\ntype: Mesh\nname: b\n"
    ),
    "documents of comments alone": "# only\n---\n# still only\n---\ntype: Mesh\nname: a\n---\n# the end\n",
    "empty documents": "---\n---\ntype: Mesh\nname: a\n---\n---\n",
    "a directive": "%YAML 1.2\n---\ntype: Mesh\nname: a\n",
    "a comment above a directive": "# licence\n%YAML 1.2\n---\ntype: Mesh\nname: a\n",
    "line ends of Windows": ("type: Mesh\r\n# said\r\nname: a\r\nlabels:\r\n  text: |\r\n    one\r\n    two\r\n"),
    "a byte order mark": "\ufefftype: Mesh\nname: a\n",
    "no line end": "type: Mesh\nname: a",
    "no line end after a comment": "type: Mesh\nname: a # said",
    "blanks at line ends": "type: Mesh  \nname: a\t\n  \n\n\nlabels:   \n  a: b   \n\n\n",
    "anchors": "type: Mesh\nname: a\nlabels: &l\n  a: &v b\n  c: *v\nother: *l\n",
    "anchors out of order": "type: Mesh\nspec: &s\n  a: 1\nname: a\nlabels: *s\n",
    "an anchor and a comment": "type: Mesh\nname: a\nlabels: &l # said\n  a: b\nmore: [*l, &x y, *x]\n",
    "an anchor on nothing": "type: Mesh\nname: a\nlabels: &l\nmore: *l\n",
    "an alias as a key": "type: Mesh\nname: &n a\nlabels:\n  *n : b\n",
    "literal blocks": (
        "type: Mesh\n"
        "name: a\n"
        "labels:\n"
        "  one: |\n"
        "    a\n"
        "      b\n"
        "\n"
        "    c\n"
        "  two: |-\n"
        "    a\n"
        "  three: |+\n"
        "    a\n"
        "\n"
        "  four: |2\n"
        "      b\n"
    ),
    "a literal block at the end": "type: Mesh\nname: a\nlabels:\n  a: |+\n    b\n\n\n",
    "a literal block of nothing": "type: Mesh\nname: a\nlabels:\n  a: |\n  b: >\n  c: |+\n\n  d: x\n",
    "folded blocks": (
        "type: Mesh\n"
        "name: a\n"
        "labels:\n"
        "  a: >\n"
        "    one\n"
        "    two\n"
        "\n"
        "    three\n"
        "      four\n"
        "    five\n"
        "  b: >-\n"
        "    x\n"
        "    y\n"
        "  c: >2\n"
        "      p\n"
        "     q\n"
    ),
    "comments by blocks": (
        "type: Mesh\n"
        "name: a\n"
        "labels:\n"
        "  a: | # said\n"
        "    # not said\n"
        "    b\n"
        "  # said too\n"
        "  c: >- # and this\n"
        "    d\n"
        "\n"
        "  # not lost\n"
        "  e: f\n"
    ),
    "a block in a list": "type: Mesh\nname: a\nmore:\n- |\n  a\n  b\n- >\n  c\n  d\n-\n  - |\n   e\n",
    "flow over lines": (
        "type: Mesh\nname: a\nlabels: {\n  a: b, # of b\n  # before c\n  c: d\n  # foot\n}\nmore: [\n  1,\n  2,\n]\n"
    ),
    "flow that is long": f"type: Mesh\nname: a\nmore: [{LONG}]\n",
    "flow in flow that is long": f"type: Mesh\nname: a\nmore: [{{a: [{LONG}]}}, [[]], [{{}}], {{}}]\n",
    "flow with pairs": "type: Mesh\nname: a\nmore: [a: b, {c}, ? d : e, f: ]\n",
    "a comment after an opening bracket": (
        "type: Mesh\nname: a\nmore: [ # said\n  a ] # and this\nless: { # here\n  }\nnone: [\n # nothing\n]\n"
    ),
    "JSON": '{"type": "Mesh", "name": "a",\n "labels": {"a": "b\\u00e9", "c/d": "e:f"}, "spec": null}\n',
    "words of YAML 1.1": (
        "type: Mesh\nname: a\nlabels: {a: yes, b: on, c: 'no', d: y, e: ~, f: Null, g: TRUE, h: \"true\", i: Off}\n"
    ),
    "numbers": (
        "type: Mesh\n"
        "name: a\n"
        "more: [0o7, 0x1F, 0777, +5, 1e3, 1_000, 1:30, 1.50, .5, 5., '5', '0o7', 2024-01-01, -0, 1E+3, 0b11]\n"
    ),
    "numbers in words": (
        "type: Mesh\n"
        "name: a\n"
        "more: ['1e3', '.5', '1_0', '0x1F', '0b1', '=', '<<', '-', '--', '-a', '?', '?a', ':', ':a', '1:30']\n"
    ),
    "quotes": (
        "type: Mesh\n"
        "name: a\n"
        "more: [\"a\", 'b', 'it''s', \"say \\\"x\\\"\", 'back\\slash', \"\\t\", \"é\", '#a', 'a #b', 'a: b', 'a:', "
        "'@a', '%a', '`', '*', '&', '!', '|', '>', '']\n"
    ),
    "quotes over lines": (
        "type: Mesh\n"
        "name: a\n"
        "more:\n"
        '- "one\n'
        "  two\n"
        "\n"
        '  three"\n'
        "- 'four\n"
        "\n"
        "\n"
        "  five'\n"
        '- "six\\\n'
        '  seven"\n'
        "- plain\n"
        "  words\n"
        "\n"
        "  more\n"
    ),
    "tags": (
        "type: Mesh\n"
        "name: a\n"
        "more: [!!str 5, !!int '5', !!float 5, !!null '', !!bool 'true', ! x]\n"
        "labels: !!map\n"
        "  a: !!seq [b]\n"
    ),
    "long keys": (
        "type: Mesh\n"
        "name: a\n"
        "labels:\n"
        f"  {'k' * 200}: v\n"
        "  ? asked\n"
        "  : answer\n"
        "  ? # said\n"
        "    other # of it\n"
        "  : # and\n"
        "    more # here\n"
    ),
    "odd keys": (
        "type: Mesh\n"
        "name: a\n"
        "labels: {'a b': 1, \"c:d\": 2, 'true': 3, '5': 4, '': 5, 'x y: z': 6, \"new\\nline\": 7, '---': 8, "
        "'...': 9}\n"
    ),
    "lists in lists": (
        "type: Mesh\nname: a\nmore:\n- - a # one\n  - - b\n    # in\n  # out\n-\n  - c\n-   # said\n  -   d\n-\n- {}\n"
    ),
    "mappings in lists": (
        "type: Mesh\n"
        "name: a\n"
        "more:\n"
        "-\n"
        "    # first\n"
        "    a: 1\n"
        "    b: 2\n"
        "-   a: 1\n"
        "\n"
        "    b: 2\n"
        "\n"
        "- # said\n"
        "  a: 1\n"
        "-\n"
        "  # alone\n"
        "  [x]\n"
    ),
    "lists not indented": "type: Mesh\nname: a\nmore:\n- a\n# foot or head\nless:\n- b\n  # deeper\n",
    "lists indented by four": (
        "type: Mesh\nname: a\nmore:\n    -   a\n    # foot\n\n    -   b: c\n        d: e\n    # end\nless: f\n"
    ),
    "comments before a value": (
        "type: Mesh\nname: # said\n  # again\n  a\nlabels:\n  # before\n  {a: b}\nmore:\n  # nothing there\nless:\n"
    ),
    "comments less indented": ("type: Mesh\nname: a\nspec:\n# left\n  a:\n # odd\n    b: c\n# left again\n  d: e\n"),
    "letters of the world": ("type: Mesh\nname: a\nlabels: {grüße: 你好, 'emoji': 😀, 'é': \"\\u00e9\"} # ñandú\n"),
    "shell and hash": "type: Mesh\nname: a\nmore: [a#b, 'c #d', http://x/y#z]\nless: a#b#c # d#e\n",
    "a comment without a blank": "#tight\ntype: Mesh #\nname: a #!x\n#\n##\n",
    "tabs": "type:\tMesh\nname: a\t# said\nmore: [\ta\t,\tb\t]\nless: 'x\ty'\n",
    "foreign beside ours": "a: 1\nb:    [x]\n---\nname: a\ntype: Mesh\n---\nz:   1   # kept\ny: {b:   c}\n",
    "blocks that begin with a tab": "type: Mesh\nname: a\nlabels:\n  a: |2\n    \tb\n  c: >2\n    \td\n",
    "blanks at the end of a folded block": (
        "type: Mesh\nname: a\nlabels:\n  a: >\n    one\n    two \n  b: >-\n    one \n    two  \n\n  c: d\n"
    ),
    "long text": f'type: Mesh\nname: a\nlabels:\n  a: {"word " * 60}\n  b: "{"w: " * 60}"\n',
}
