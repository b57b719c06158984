"""As little as a Flask application can do."""

import flask

app = flask.Flask("flasked")


@app.route("/")
def hello():
    return "Hello, world\n"
