"""The examples in the documentation of the integrations are programs that do what they say."""

import re

import pytest

from metlog.integrations._http import Options

from .harness import ROOT, start_gunicorn, start_uvicorn

DOCS = ROOT / "docs" / "python"


def example(page):
    """Give back the program on a page."""
    return re.search(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)[1]


# What of Django's settings a page need not say.
DJANGO = """
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "for tests"
ROOT_URLCONF = "app"
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse("hello"))]
"""


@pytest.mark.parametrize(
    ("page", "start", "name"),
    [
        ("wsgi", start_gunicorn, "app:application"),
        ("flask", start_gunicorn, "app:app"),
        ("pyramid", start_gunicorn, "app:application"),
        ("django", start_gunicorn, "django.core.wsgi:get_wsgi_application()"),
        ("uwsgi", start_gunicorn, "app:application"),
        ("asgi", start_uvicorn, "app:app"),
        ("fastapi", start_uvicorn, "app:app"),
    ],
)
def test_the_application_on_a_page_answers_and_sends(service, tmp_path, page, start, name):
    if page == "fastapi":
        pytest.importorskip("fastapi")
    program = example(page) + (DJANGO if page == "django" else "")
    # The logger of the example is not that of the test.
    (tmp_path / "app.py").write_text(program.replace('"shop"', f'"{service.logger}"'))
    start(service, name, PYTHONPATH=str(tmp_path), DJANGO_SETTINGS_MODULE="app")
    assert "hello" in service.get("/")[1]
    (timer,) = service.wait_for("http.server.request")
    assert timer["fields"]["status"] == 200
    if page != "uwsgi":
        assert timer["fields"]["route"] == ("" if page == "django" else "/")


@pytest.mark.parametrize(("page", "name"), [("gevent", "work"), ("celery", None)])
def test_the_program_on_a_page_runs(service, page, name):
    program = service.start("python", "-c", example(page).replace('"shop"', f'"{service.logger}"'))
    assert program.wait(30) == 0, program.said()
    if name is not None:
        service.wait_for(name)


def test_every_option_has_a_line():
    listed = re.findall(
        r"^\| `(\w+)` \|", (DOCS / "http.md").read_text().split("## Options")[1], re.MULTILINE
    )
    assert listed == list(Options.__dataclass_fields__)
