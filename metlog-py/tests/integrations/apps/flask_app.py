"""A Flask application."""

import os

from flask import Blueprint, Flask, abort, stream_with_context

import metlog
from metlog.integrations.flask import Metlog

app = Flask(__name__)
app.config["METLOG"] = {"severity": 5, "http": {"ignored_paths": ["/livez"]}}
extension = Metlog()
shop = Blueprint("shop", __name__, url_prefix="/shop")


@app.get("/")
def show():
    metlog.get_client().metlog("page")
    return str(os.getpid())


@app.get("/livez")
def livez():
    return "alive"


@shop.get("/items/<int:number>")
def item(number):
    return str(number)


@app.get("/crash")
def crash():
    raise LookupError("the page has a bug")


@app.errorhandler(KeyError)
def handled(error):
    return "handled", 409


@app.get("/handled")
def raises_what_is_handled():
    raise KeyError


@app.get("/gone")
def gone():
    abort(410)


@app.get("/stream")
def stream():
    def chunks():
        for _ in range(3):
            metlog.get_client().metlog("chunk")
            yield b"x" * 1000

    return app.response_class(stream_with_context(chunks()))


app.register_blueprint(shop)
extension.init_app(app)
