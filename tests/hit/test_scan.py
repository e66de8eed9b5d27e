from neml2.hit.scan import scan


def test_scan_sees_the_structure():
    text = "a='x [y] = z' [S/t] b:=${raw 'p' q}w # c=3\n[] c = '''\n[q]'''"
    kinds = [(t.kind, t.text) for t in scan(text)]
    assert kinds == [
        ("key", "a"),
        ("value", "'x [y] = z'"),
        ("open", "[S/t]"),
        ("key", "b"),
        ("value", "${raw 'p' q}w"),
        ("close", "[]"),
        ("key", "c"),
        ("value", "'''\n[q]'''"),
    ]
