"""Licences of releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgsite.rules.licences import MAX_NAME_LENGTH, canonical_licence, host_licence, licences

MIT = "License :: OSI Approved :: MIT License"
BSD = "License :: OSI Approved :: BSD License"
GPL = "License :: OSI Approved :: GNU General Public License"
LONG = "GPL-2.0-or-later WITH Classpath-exception-2.0 OR MIT AND (LGPL-2.1-or-later OR BSD-3-Clause)"


@pytest.mark.parametrize(
    ("expression", "free_text", "classifiers", "expected"),
    [
        ("mit or apache-2.0", "ignored", [], ("MIT OR Apache-2.0",)),
        (LONG, None, [], (LONG,)),
        (None, "MIT", [MIT], ("MIT",)),
        (None, "BSD", [BSD, MIT], ("BSD License", "MIT")),
        (None, MIT, [], ("MIT",)),
        (None, "License :: OSI Approved :: GNU General Public License v2 (GPLv2)", [], ("GPL-2.0-only",)),
        (None, "MIT License\n\nCopyright (c) 2012\n", [], ("MIT",)),
        (None, "Copyright (c) 2012\nAll rights reserved", [MIT], ("MIT",)),
        (None, "x" * (MAX_NAME_LENGTH + 1), [], ()),
        ("MIT", "BSD", [BSD], ("MIT", "BSD License")),
        (" ", "UNKNOWN", ["License :: OSI Approved", "Framework :: Django"], ()),
        (None, None, [], ()),
    ],
)
def test_the_expression_comes_first_then_short_free_text_then_classifiers(
    expression: str | None, free_text: str | None, classifiers: list[str], expected: tuple[str, ...]
) -> None:
    assert licences(expression, free_text, classifiers) == expected


@pytest.mark.parametrize(
    ("free_text", "classifiers", "expected"),
    [
        ("GPLv2", [f"{GPL} v2 (GPLv2)"], ("GPL-2.0-only",)),
        ("GPLv3", [f"{GPL} v3 or later (GPLv3+)"], ("GPL-3.0-or-later",)),
        ("GPL-3.0-or-later", [f"{GPL} v3 or later (GPLv3+)"], ("GPL-3.0-or-later",)),
        ("GPL", [f"{GPL} v3 or later (GPLv3+)"], ("GPL-3.0-or-later",)),
        ("GPL", [f"{GPL} (GPL)"], ("GPL",)),
        ("MIT/BSD", [MIT, BSD], ("MIT", "BSD License")),
        ("MIT and BSD", [BSD, MIT], ("BSD License", "MIT")),
        ("GPL/MIT", [MIT, f"{GPL} v3 (GPLv3)"], ("MIT", "GPL-3.0-only")),
        ("MIT/BSD", [MIT], ("MIT/BSD", "MIT")),
        ("Dual License", [MIT, BSD], ("MIT", "BSD License")),
        ("OSI Approved :: MIT License", [MIT], ("MIT",)),
        ("Apache 2.0", ["License :: OSI Approved :: Apache Software License"], ("Apache-2.0",)),
        ("Apache-2.0 or MIT", ["License :: OSI Approved :: Apache Software License", MIT], ("Apache-2.0 OR MIT",)),
        ("BSD-3-Clause", [BSD], ("BSD-3-Clause",)),
        ("BSD, see LICENSE for details", [BSD], ("BSD License",)),
        ("MIT", [BSD, MIT], ("MIT", "BSD License")),
        ("The MIT License (MIT)", [MIT], ("MIT",)),
        ("Mozilla Public License", ["License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"], ("MPL-2.0",)),
        (
            "LGPL-2.1-or-later",
            ["License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)"],
            ("LGPL-2.1-or-later",),
        ),
        ("Acme License", ["License :: Other/Proprietary License"], ("Acme License", "Other/Proprietary License")),
    ],
)
def test_no_licence_is_listed_twice(free_text: str, classifiers: list[str], expected: tuple[str, ...]) -> None:
    assert licences(None, free_text, classifiers) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("LICENSE.txt", "LICENSE", "License.md", "See LICENSE file", "see the LICENSE file for details", "COPYING"),
        *("See LICENSE", "Check the licence file", "file: LICENSE", "{'file': 'LICENSE'}", "./LICENSE.rst"),
        *("-", "--", ".", "n/a", "N/A", "None", "UNKNOWN", "TBD", "?", "License", "NOASSERTION"),
        "https://github.com/acme/project/blob/main/LICENSE",
    ],
)
def test_a_text_that_names_no_licence_leaves_the_classifier(text: str) -> None:
    assert canonical_licence(text) is None
    assert licences(None, text, [MIT]) == ("MIT",)
    assert licences(None, text, []) == ()


@pytest.mark.parametrize(
    ("spdx", "names"),
    [
        (
            "Apache-2.0",
            [
                "Apache Software License 2.0",
                "Apache License, Version 2.0",
                "Apache 2",
                "apache2",
                "ASL 2.0",
                "Apache v2",
                "The Apache License 2.0",
                "Apache License Version 2.0 (Apache-2.0)",
                "Apache-2.0 License",
                "http://www.apache.org/licenses/LICENSE-2.0",
                "Apache 2.0, see LICENSE",
            ],
        ),
        (
            "BSD-3-Clause",
            [
                "BSD 3-Clause License",
                "BSD-3",
                "3-clause BSD",
                "BSD (3-clause)",
                "New BSD",
                "revised BSD license",
                'BSD 3-Clause "New" or "Revised" License',
                "Modified BSD License",
                "bsd-3-clause",
            ],
        ),
        ("BSD-2-Clause", ["Simplified BSD", "BSD 2-Clause License", "2-clause BSD", "FreeBSD"]),
        (
            "MIT",
            ["MIT License", "The MIT License (MIT)", "MIT licence", "MIT/X11", "Expat", "MIT License (see LICENSE)"],
        ),
        ("MIT", ["https://opensource.org/licenses/MIT", "https://opensource.org/license/mit"]),
        ("ISC", ["ISC license", "ISC License (ISCL)", "ISCL"]),
        ("MPL-2.0", ["MPL 2.0", "MPL2", "Mozilla Public License, v. 2.0", "Mozilla Public License 2.0 (MPL 2.0)"]),
        ("GPL-3.0", ["GPLv3", "GPL v3", "GNU GPL 3", "GPL-3.0", "GPL version 3", "GNU General Public License v3.0"]),
        ("GPL-3.0", ["https://www.gnu.org/licenses/gpl-3.0.html"]),
        ("GPL-2.0-or-later", ["GPLv2+", "GPL v2 or later", "GPL-2.0+", "GPL (>= 2)", "GNU GPLv2 or any later version"]),
        ("GPL-2.0-only", ["GPL-2.0-only", "GPLv2 only"]),
        ("LGPL-2.1-or-later", ["LGPLv2.1+", "GNU LGPL 2.1 or later"]),
        ("LGPL-3.0", ["LGPLv3", "GNU Lesser General Public License v3.0"]),
        ("AGPL-3.0", ["AGPLv3", "GNU AGPL v3", "AGPL 3"]),
        ("AGPL-3.0-only", ["GNU Affero General Public License v3"]),
        ("EUPL-1.2", ["EUPL 1.2", "European Union Public Licence 1.2 (EUPL 1.2)"]),
        ("PSF-2.0", ["PSF", "Python Software Foundation License"]),
        ("Unlicense", ["Unlicense", "The Unlicense (Unlicense)"]),
        ("Zlib", ["zlib/libpng License"]),
        ("0BSD", ["Zero-Clause BSD (0BSD)"]),
        ("CC0-1.0", ["CC0", "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication"]),
        ("MIT OR Apache-2.0", ["MIT or Apache-2.0", "MIT/Apache 2.0", "MIT OR Apache License 2.0"]),
        ("MIT AND BSD-3-Clause", ["mit and BSD 3-Clause License"]),
    ],
)
def test_common_names_become_spdx_identifiers(spdx: str, names: list[str]) -> None:
    assert {name: canonical_licence(name) for name in names} == dict.fromkeys(names, spdx)


@pytest.mark.parametrize(
    "name", ["MIT (non-commercial)", "Apache-2.0 (formerly MIT)", "GPL/LGPL", "MIT/BSD", "Freeware"]
)
def test_other_names_are_kept(name: str) -> None:
    assert canonical_licence(name) == name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["LGPL-2.1"], "LGPL-2.1"),
        (["lgpl-2.1"], "LGPL-2.1"),
        (["agpl-3.0"], "AGPL-3.0"),
        (["GPL-3.0-or-later"], "GPL-3.0-or-later"),
        (["GPL-3.0-only", "GPL-3.0-or-later"], "GPL-3.0"),
        (["bsd-3-clause"], "BSD-3-Clause"),
        (["MIT", "ISC"], None),
        (["other"], None),
        (["NOASSERTION"], None),
        ([None], None),
        ([], None),
    ],
)
def test_code_hosts_name_one_licence_in_the_same_way(names: list[str | None], expected: str | None) -> None:
    assert host_licence(names) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("          GNU GENERAL PUBLIC LICENSE\n      Version 3, 29 June 2007\n\n Copyright (C) 2007", "GPL-3.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007", "AGPL-3.0"),
        ("                 Apache License\n           Version 2.0, January 2004\n http://", "Apache-2.0"),
        ("Apache License Version 2.0, January 2004", "Apache-2.0"),
        ("Mozilla Public License Version 2.0\n=====", "MPL-2.0"),
        ("BSD 3-Clause License\n\nCopyright (c) 2009", "BSD-3-Clause"),
        ('{text = "MIT"}', "MIT"),
        ("{'text': 'BSD-3-Clause'}", "BSD-3-Clause"),
        ("text = ISC license", "ISC"),
        ("(MIT)", "MIT"),
        ("(MIT OR Apache-2.0)", "MIT OR Apache-2.0"),
        *(
            ("ASLv2", "Apache-2.0"),
            ("MPLv2.0", "MPL-2.0"),
            ("EUPLv1.2", "EUPL-1.2"),
            ("LGPLv2.1+", "LGPL-2.1-or-later"),
        ),
        ("BSD\nMIT", None),
        ('{text = "see LICENSE"}', None),
    ],
)
def test_licence_texts_are_known_by_their_title(text: str, expected: str | None) -> None:
    assert licences(None, text, []) == ((expected,) if expected else ())


def test_an_ambiguous_licence_name_is_kept() -> None:
    assert canonical_licence("BSD License") == "BSD License"
    assert canonical_licence("Apache Software License") == "Apache Software License"


def test_thousands_of_parentheses_are_not_an_error() -> None:
    assert canonical_licence("(" * 5_000 + "MIT" + ")" * 5_000)


@given(
    st.none() | st.text() | st.text(alphabet="()MIT ORANDWITH+-"),
    st.none() | st.text(),
    st.lists(st.text() | st.text().map("License :: {}".format)),
)
def test_any_text_gives_distinct_names_that_are_not_blank(
    expression: str | None, free_text: str | None, classifiers: list[str]
) -> None:
    names = licences(expression, free_text, classifiers)
    assert len(set(names)) == len(names)
    assert all(name.strip() for name in names)
