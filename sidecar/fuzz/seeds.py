"""Writes what the fuzz targets start from: a line of each format, and the examples of the documentation.

Usage: seeds.py FOLDER    one folder for each target is made in it
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ACCESS = '10.0.0.1 - jane [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.1" 200 5 "http://x/" "curl \\x22"'
SYSLOG = [
    '<34>1 2003-10-11T22:14:15.003Z host su 12 ID47 [a@1 b="c"] text',
    "<34>Oct 11 22:14:15 host su[99]: failed",
    "2003-10-11T22:14:15+02:00 host app: ok",
]
CEF = r"Sep 19 08:26:10 host CEF:0|Sec\|urity|threat|1.0|100|worm|10|src=10.0.0.1 msg=two words\=x suser=jane"
MYSQL = (
    "# Time: 2024-01-02T03:04:05Z\n# User@Host: a[a] @ b []  Id: 8\n"
    "# Query_time: 2.5  Rows_sent: 1\nuse d;\nSET timestamp=1704164645;\nSELECT 1;"
)
TRACES = [
    "a\nTraceback (most recent call last):\n  File\nKeyError: b\n",
    "E: a\n\tat b\nCaused by: c\n",
    "panic: a\n\ngoroutine 1 [running]:\nmain.main()\n",
]


def examples() -> list[str]:
    """Find the lines of tests in the page about log files."""
    page = (ROOT / "docs" / "logfiles.md").read_text()
    return [line for _, line in re.findall(r"^line = (['\"])(.*)\1$", page, re.MULTILINE)]


def main(folder: Path) -> None:
    """Write the seeds of every target."""
    lines = examples()
    seeds = {
        "line_nginx": [ACCESS, *lines],
        "line_apache": [ACCESS, *lines],
        "line_json": ['{"level":"error","time":"2024-01-02T03:04:05Z","msg":"a","x":[1.5,{"y":null}]}'],
        "line_logfmt": ['level=info msg="say \\"hi\\"" n=-5 t=0.25 ok', *lines],
        "line_syslog": [*SYSLOG, *lines],
        "line_cef": [CEF],
        "line_mysql": [MYSQL],
        "records": [f"{number}{trace}" for number, trace in enumerate(TRACES)],
        "statsd": [
            "a:1|c\na.b:3:4.5|ms|@0.5|#env:prod,x|c:in-8|T17\ng:+2|g\ns:joe|s:ann|s",
            "_e{5,4}:title|text|d:17|h:web|p:low|t:error|#a:b\n_sc|redis|2|#x|m:down",
            "constructor:1|ms\n__proto__:1|ms\na:1|c|@ 5\na:1e999|c\na:1|c|@0",
        ],
        "timestamps": [
            "10/Oct/2000:13:55:36 -0700",
            "2024-01-02T03:04:05Z",
            "Feb 29 01:02:03",
            "1712345678.5",
        ],
    }
    for target, contents in seeds.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(contents):
            (place / f"seed-{number:03}").write_bytes(content.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
