"""Messages that two readers could understand differently: each is refused, and nothing behind it is ever served.

Every row of AMBIGUOUS is sent in several ways: alone; with a good request behind it, which must not be taken for one;
as the second message of a pipeline, where the first is still answered; cut in two. There must be one refusal, the
connection must be closed properly, and the application must not have been called. ORDINARY has what looks odd and is
right: a server that refuses everything would pass the first table.
"""

import re

import pytest

import wire

# It is the same code whoever runs it; test_http.py is for both.
pytestmark = pytest.mark.users("user")

H = b"Host: localhost\r\n"
GOOD = b"GET /good HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(fields, body=b"", host=H):
    return b"POST /bad HTTP/1.1\r\n" + host + fields + b"\r\n" + body


def get(line=b"GET /bad HTTP/1.1", fields=H):
    return line + b"\r\n" + fields + b"\r\n"


def coded(value, body=b"0\r\n\r\n"):
    """With a Transfer-Encoding field as it is given, name and all."""
    return post(value + b"\r\n", body)


def chunks(body):
    return post(b"Transfer-Encoding: chunked\r\n", body)


def length(value, body=b"hello"):
    return post(b"Content-Length: " + value + b"\r\n", body)


TE, CL = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"

# name: (message, statuses); None: any refusal.
AMBIGUOUS = {
    # --- both lengths
    "CL before TE": (post(CL + TE, b"0\r\n\r\n"), {400}),
    "TE before CL": (post(TE + CL, b"0\r\n\r\n"), {400}),
    "CL 0 and TE": (post(b"Content-Length: 0\r\n" + TE, b"0\r\n\r\n"), {400}),
    "CL that fits the chunks, and TE": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                             b"0\r\n\r\n"), {400}),
    "CL and te in lower case": (post(CL + b"transfer-encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
    "CL and tE": (post(CL + b"tRANSFER-eNCODING: chunked\r\n", b"0\r\n\r\n"), {400}),
    "CL and TE: identity": (post(CL + b"Transfer-Encoding: identity\r\n", b"hello"), None),
    "CL and an empty TE": (post(CL + b"Transfer-Encoding:\r\n", b"hello"), None),
    "CL and TE: cow": (post(CL + b"Transfer-Encoding: cow\r\n", b"hello"), None),
    "CL twice and TE": (post(CL + TE + CL, b"0\r\n\r\n"), {400}),
    "CL and TE far apart": (post(CL + b"X-Between: 1\r\n" * 40 + TE, b"0\r\n\r\n"), {400}),
    "GET with both": (b"GET /bad HTTP/1.1\r\n" + H + CL + TE + b"\r\n0\r\n\r\n", {400}),

    # --- Transfer-Encoding
    "TE: identity": (coded(b"Transfer-Encoding: identity"), None),
    "TE: chunked, identity": (coded(b"Transfer-Encoding: chunked, identity"), None),
    "TE: identity, chunked": (coded(b"Transfer-Encoding: identity, chunked"), None),
    "TE: gzip": (coded(b"Transfer-Encoding: gzip"), None),
    "TE: gzip, chunked": (coded(b"Transfer-Encoding: gzip, chunked"), None),
    "TE: chunked, chunked": (coded(b"Transfer-Encoding: chunked, chunked"), {400}),
    "TE: chunked,": (coded(b"Transfer-Encoding: chunked,"), None),
    "TE: ,chunked": (coded(b"Transfer-Encoding: ,chunked"), None),
    "TE: xchunked": (coded(b"Transfer-Encoding: xchunked"), None),
    "TE: chunkedx": (coded(b"Transfer-Encoding: chunkedx"), None),
    "TE: chunked x": (coded(b"Transfer-Encoding: chunked x"), None),
    "TE: chunked;q=1": (coded(b"Transfer-Encoding: chunked;q=1"), None),
    "TE: \"chunked\"": (coded(b"Transfer-Encoding: \"chunked\""), None),
    "TE: 'chunked'": (coded(b"Transfer-Encoding: 'chunked'"), None),
    "TE: chunk": (coded(b"Transfer-Encoding: chunk"), None),
    "TE: cow": (coded(b"Transfer-Encoding: cow"), None),
    "TE: empty": (coded(b"Transfer-Encoding:"), None),
    "TE: spaces": (coded(b"Transfer-Encoding:    "), None),
    "TE: \\vchunked": (coded(b"Transfer-Encoding: \x0bchunked"), {400}),
    "TE: \\fchunked": (coded(b"Transfer-Encoding: \x0cchunked"), {400}),
    "TE: chunked\\0": (coded(b"Transfer-Encoding: chunked\0"), {400}),
    "TE: \\0chunked": (coded(b"Transfer-Encoding: \0chunked"), {400}),
    "TE: \\rchunked": (coded(b"Transfer-Encoding: \rchunked"), {400}),
    "TE:\\nchunked": (coded(b"Transfer-Encoding:\nchunked"), {400}),
    "TE: \\xa0chunked": (coded(b"Transfer-Encoding: \xa0chunked"), None),
    "TE: chunked\\xff": (coded(b"Transfer-Encoding: chunked\xff"), None),
    "TE twice": (post(TE + TE, b"0\r\n\r\n"), {400}),
    "TE twice, identity first": (post(b"Transfer-Encoding: identity\r\n" + TE, b"0\r\n\r\n"), {400}),
    "TE twice, identity last": (post(TE + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"), {400}),
    "TE twice in two cases": (post(TE + b"transfer-encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
    "TE folded": (coded(b"Transfer-Encoding:\r\n chunked"), {400}),
    "TE folded by a tab": (coded(b"Transfer-Encoding:\r\n\tchunked"), {400}),
    "TE behind a fold": (post(b"X-Fold: a\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
    "space before TE": (coded(b" Transfer-Encoding: chunked"), {400}),
    "space before TE's colon": (coded(b"Transfer-Encoding : chunked"), {400}),
    "tab before TE's colon": (coded(b"Transfer-Encoding\t: chunked"), {400}),
    "\\0 in TE's name": (coded(b"Transfer-Encoding\0: chunked"), {400}),
    "\\r before TE": (coded(b"X-A: 1\rTransfer-Encoding: chunked"), {400}),
    "\\n before TE": (coded(b"X-A: 1\nTransfer-Encoding: chunked"), {400}),
    "TE in HTTP/1.0": (b"POST /bad HTTP/1.0\r\n" + H + TE + b"\r\n0\r\n\r\n", None),
    "TE and CL in HTTP/1.0": (b"POST /bad HTTP/1.0\r\n" + H + TE + CL + b"\r\nhello", None),

    # --- Content-Length
    "CL twice, equal": (post(CL + CL, b"hello"), {400}),
    "CL twice, unequal": (post(CL + b"Content-Length: 6\r\n", b"hello!"), {400}),
    "CL twice in two cases": (post(CL + b"content-length: 5\r\n", b"hello"), {400}),
    "CL twice, one 0": (post(b"Content-Length: 0\r\n" + CL, b"hello"), {400}),
    "CL: +5": (length(b"+5"), {400}),
    "CL: -5": (length(b"-5"), {400}),
    "CL: -0": (length(b"-0"), {400}),
    "CL: 5, 5": (length(b"5, 5"), {400}),
    "CL: 5,5": (length(b"5,5"), {400}),
    "CL: 5,6": (length(b"5,6", b"hello!"), {400}),
    "CL: ,5": (length(b",5"), {400}),
    "CL: 5,": (length(b"5,"), {400}),
    "CL: 0x5": (length(b"0x5"), {400}),
    "CL: 5h": (length(b"5h"), {400}),
    "CL: h5": (length(b"h5"), {400}),
    "CL: 5.0": (length(b"5.0"), {400}),
    "CL: 5e0": (length(b"5e0"), {400}),
    "CL: 0_5": (length(b"0_5"), {400}),
    "CL: 1_0": (length(b"1_0", b"helloworld"), {400}),
    "CL: 5 5": (length(b"5 5"), {400}),
    "CL: 5\\t5": (length(b"5\t5"), {400}),
    "CL: \"5\"": (length(b"\"5\""), {400}),
    "CL: 5;": (length(b"5;"), {400}),
    "CL: five": (length(b"five"), {400}),
    "CL: empty": (length(b"", b""), {400}),
    "CL: a space": (length(b" ", b""), {400}),
    "CL: \\x0b5": (length(b"\x0b5"), {400}),
    "CL: 5\\0": (length(b"5\0"), {400}),
    "CL: \\xb2 (superscript)": (length(b"\xc2\xb2"), {400}),
    "CL: arabic five": (length("٥".encode()), {400}),
    "CL: 2^64 + 5": (length(b"18446744073709551621"), {400, 413}),
    "CL: 2^63": (length(b"9223372036854775808"), {400, 413}),
    "CL: 2^32 * 2^32 * 16 + 5": (length(b"295147905179352825861"), {400, 413}),
    "CL: a hundred nines": (length(b"9" * 100), {400, 413}),
    "CL folded": (post(b"Content-Length:\r\n 5\r\n", b"hello"), {400}),
    "CL in two lines": (post(b"Content-Length: 5\r\n 0\r\n", b"hello"), {400}),
    "space before CL's colon": (post(b"Content-Length : 5\r\n", b"hello"), {400}),
    "tab before CL's colon": (post(b"Content-Length\t: 5\r\n", b"hello"), {400}),
    "space before CL": (post(b" Content-Length: 5\r\n", b"hello"), {400}),
    "CL without a colon": (post(b"Content-Length 5\r\n", b"hello"), {400}),

    # --- line ends and bytes that have no place
    "LF everywhere": (b"GET /bad HTTP/1.1\nHost: localhost\n\n", {400}),
    "LF behind the request line": (b"GET /bad HTTP/1.1\nHost: localhost\r\n\r\n", {400}),
    "LF behind a field": (b"GET /bad HTTP/1.1\r\nHost: localhost\n\r\n", {400}),
    "LF as the empty line": (b"GET /bad HTTP/1.1\r\nHost: localhost\r\n\n", {400}),
    "CR everywhere": (b"GET /bad HTTP/1.1\rHost: localhost\r\r", {400}),
    "CR behind the request line": (b"GET /bad HTTP/1.1\rHost: localhost\r\n\r\n", {400}),
    "CR as the empty line": (b"GET /bad HTTP/1.1\r\nHost: localhost\r\n\rX", {400}),
    "CR CR LF": (b"GET /bad HTTP/1.1\r\r\nHost: localhost\r\n\r\n", {400}),
    "CR CR LF behind a field": (b"GET /bad HTTP/1.1\r\nHost: localhost\r\r\n\r\n", {400}),
    "LF CR": (b"GET /bad HTTP/1.1\n\rHost: localhost\n\r\n\r", {400}),
    "bare CR in a value": (get(fields=H + b"X: a\rb\r\n"), {400}),
    "bare LF in a value": (get(fields=H + b"X: a\nb: c\r\n"), {400}),
    "NUL in a value": (get(fields=H + b"X: a\0b\r\n"), {400}),
    "NUL in a name": (get(fields=H + b"X\0: a\r\n"), {400}),
    "NUL in the target": (get(b"GET /bad\0 HTTP/1.1"), {400}),
    "NUL in the method": (get(b"GE\0T /bad HTTP/1.1"), {400}),
    "NUL behind the version": (get(b"GET /bad HTTP/1.1\0"), {400}),
    "ESC in a value": (get(fields=H + b"X: \x1b[2J\r\n"), {400}),
    "BEL in a value": (get(fields=H + b"X: \x07\r\n"), {400}),
    "DEL in a value": (get(fields=H + b"X: \x7f\r\n"), {400}),
    "DEL in the target": (get(b"GET /\x7f HTTP/1.1"), {400}),
    "high byte in the target": (get(b"GET /\xe4 HTTP/1.1"), {400}),
    "UTF-8 in the target": (get("GET /ä HTTP/1.1".encode()), {400}),
    "high byte in a name": (get(fields=H + b"X-\xe4: 1\r\n"), {400}),
    "high byte in the method": (get(b"G\xcbT /bad HTTP/1.1"), {400}),
    "fragment in the target": (get(b"GET /bad#here HTTP/1.1"), {400}),

    # --- fields
    "obs-fold": (get(fields=H + b"X: a\r\n b\r\n"), {400}),
    "obs-fold with a tab": (get(fields=H + b"X: a\r\n\tb\r\n"), {400}),
    "obs-fold of nothing": (get(fields=H + b"X: a\r\n \r\n"), {400}),
    "fold before all fields": (b"GET /bad HTTP/1.1\r\n " + H + b"\r\n", {400}),
    "space before a colon": (get(fields=H + b"X : a\r\n"), {400}),
    "tab before a colon": (get(fields=H + b"X\t: a\r\n"), {400}),
    "space in a name": (get(fields=H + b"X Y: a\r\n"), {400}),
    "no name": (get(fields=H + b": a\r\n"), {400}),
    "no colon": (get(fields=H + b"X\r\n"), {400}),
    "parentheses in a name": (get(fields=H + b"X(a): b\r\n"), {400}),
    "slash in a name": (get(fields=H + b"X/a: b\r\n"), {400}),
    "quote in a name": (get(fields=H + b"\"X\": b\r\n"), {400}),
    "brackets in a name": (get(fields=H + b"X[a]: b\r\n"), {400}),
    "a request in a field's place": (get(fields=H + b"GET /smuggled HTTP/1.1\r\n"), {400}),

    # --- Host
    "no Host": (get(fields=b""), {400}),
    "no Host, other fields": (get(fields=b"X: a\r\n"), {400}),
    "Host twice, equal": (get(fields=H + H), {400}),
    "Host twice, unequal": (get(fields=H + b"Host: other\r\n"), {400}),
    "Host twice in two cases": (get(fields=H + b"hOST: localhost\r\n"), {400}),
    "Host twice in HTTP/1.0": (get(b"GET /bad HTTP/1.0", H + H), {400}),
    "Host: a, b": (get(fields=b"Host: a, b\r\n"), {400}),
    "Host: a b": (get(fields=b"Host: a b\r\n"), {400}),
    "Host: a/b": (get(fields=b"Host: a/b\r\n"), {400}),
    "Host: user@a": (get(fields=b"Host: user@a\r\n"), {400}),
    "Host: http://a": (get(fields=b"Host: http://a\r\n"), {400}),
    "Host: a?b": (get(fields=b"Host: a?b\r\n"), {400}),
    "Host: a#b": (get(fields=b"Host: a#b\r\n"), {400}),
    "Host: a\\b": (get(fields=b"Host: a\\b\r\n"), {400}),
    "Host: a:b": (get(fields=b"Host: a:b\r\n"), {400}),
    "Host: a:80:80": (get(fields=b"Host: a:80:80\r\n"), {400}),
    "Host: a:+80": (get(fields=b"Host: a:+80\r\n"), {400}),
    "Host: a:99999": (get(fields=b"Host: a:99999\r\n"), {400}),
    "Host: [::1": (get(fields=b"Host: [::1\r\n"), {400}),
    "Host: ::1": (get(fields=b"Host: ::1\r\n"), {400}),
    "Host: [::1]x": (get(fields=b"Host: [::1]x\r\n"), {400}),
    "Host: []": (get(fields=b"Host: []\r\n"), {400}),
    "Host: [gggg::]": (get(fields=b"Host: [gggg::]\r\n"), {400}),
    "Host: a<b>": (get(fields=b"Host: a<b>\r\n"), {400}),
    "Host: \"a\"": (get(fields=b"Host: \"a\"\r\n"), {400}),
    "Host: \\xe4": (get(fields=b"Host: \xe4.example\r\n"), {400}),
    "Host folded": (get(fields=b"Host:\r\n localhost\r\n"), {400}),
    "space before Host's colon": (get(fields=b"Host : localhost\r\n"), {400}),
    "bad Host in HTTP/1.0": (get(b"GET /bad HTTP/1.0", b"Host: a/b\r\n"), {400}),

    # --- the request line
    "absolute-form, another Host": (get(b"GET http://other/bad HTTP/1.1"), {400}),
    "absolute-form, another port": (get(b"GET http://localhost:81/bad HTTP/1.1"), {400}),
    "absolute-form, no Host": (get(b"GET http://localhost/bad HTTP/1.1", b""), {400}),
    "absolute-form with a user": (get(b"GET http://user@localhost/bad HTTP/1.1"), {400}),
    "absolute-form without authority": (get(b"GET http:///bad HTTP/1.1"), {400}),
    "absolute-form, ftp": (get(b"GET ftp://localhost/bad HTTP/1.1"), None),
    "absolute-form, file": (get(b"GET file:///etc/passwd HTTP/1.1"), None),
    "absolute-form, one slash": (get(b"GET http:/localhost/bad HTTP/1.1"), {400}),
    "authority-form": (get(b"GET localhost:80 HTTP/1.1"), {400}),
    "CONNECT": (get(b"CONNECT localhost:80 HTTP/1.1"), None),
    "CONNECT of a path": (get(b"CONNECT /bad HTTP/1.1"), None),
    "GET *": (get(b"GET * HTTP/1.1"), {400}),
    "OPTIONS **": (get(b"OPTIONS ** HTTP/1.1"), {400}),
    "no slash": (get(b"GET bad HTTP/1.1"), {400}),
    "a query alone": (get(b"GET ?bad HTTP/1.1"), {400}),
    "no target": (get(b"GET HTTP/1.1"), {400}),
    "no target, two spaces": (get(b"GET  HTTP/1.1"), {400}),
    "two spaces before the target": (get(b"GET  /bad HTTP/1.1"), {400}),
    "two spaces behind the target": (get(b"GET /bad  HTTP/1.1"), {400}),
    "tab for a space": (get(b"GET\t/bad\tHTTP/1.1"), {400}),
    "space in the target": (get(b"GET /b ad HTTP/1.1"), {400}),
    "space behind the version": (get(b"GET /bad HTTP/1.1 "), {400}),
    "space before the method": (get(b" GET /bad HTTP/1.1"), {400}),
    "two versions": (get(b"GET /bad HTTP/1.1 HTTP/1.1"), {400}),
    "a method that is no token": (get(b"G(ET) /bad HTTP/1.1"), {400}),
    "a colon in the method": (get(b"GET: /bad HTTP/1.1"), {400}),
    "a method in lower case": (get(b"get /bad HTTP/1.1"), None),
    "a method of 1000 bytes": (get(b"G" * 1000 + b" /bad HTTP/1.1"), None),
    "only a CR LF, and no request": (b"\r\n\r\n\r\n" + get(), {400}),
    "two empty lines": (b"\r\n\r\n" + get(), {400}),
    "LF before the request": (b"\n" + get(), {400}),
    "no request line": (H + b"\r\n", {400}),

    # --- versions
    "HTTP/1.2": (get(b"GET /bad HTTP/1.2"), {505}),
    "HTTP/1.9": (get(b"GET /bad HTTP/1.9"), {505}),
    "HTTP/2.0": (get(b"GET /bad HTTP/2.0"), {505}),
    "HTTP/0.9": (get(b"GET /bad HTTP/0.9"), {505}),
    "HTTP/3.0": (get(b"GET /bad HTTP/3.0"), {505}),
    "HTTP/1.10": (get(b"GET /bad HTTP/1.10"), {400, 505}),
    "HTTP/11.1": (get(b"GET /bad HTTP/11.1"), {400, 505}),
    "HTTP/01.1": (get(b"GET /bad HTTP/01.1"), {400, 505}),
    "HTTP/1": (get(b"GET /bad HTTP/1"), {400, 505}),
    "HTTP/1.": (get(b"GET /bad HTTP/1."), {400, 505}),
    "HTTP/1,1": (get(b"GET /bad HTTP/1,1"), {400}),
    "HTTP/1.x": (get(b"GET /bad HTTP/1.x"), {400}),
    "HTTP /1.1": (get(b"GET /bad HTTP /1.1"), {400}),
    "http/1.1": (get(b"GET /bad http/1.1"), {400}),
    "HTTPS/1.1": (get(b"GET /bad HTTPS/1.1"), {400}),
    "ICAP/1.0": (get(b"GET /bad ICAP/1.0"), {400}),
    "RTSP/1.0": (get(b"DESCRIBE /bad RTSP/1.0"), None),
    "SIP/2.0": (get(b"REGISTER sip:bad SIP/2.0"), None),
    "HTTP/1.1-": (get(b"GET /bad HTTP/1.1-"), {400, 505}),
    "HTTP/0.9 without a version": (b"GET /bad\r\n\r\n", {400}),
    "HTTP/0.9 with fields": (get(b"GET /bad"), {400}),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", None),
    "TLS": (bytes.fromhex("16030100c8010000c40303") + bytes(range(40)), {400}),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", {400}),
    "PROXY protocol": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get(), {400}),
    "PROXY protocol 2": (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + get(), {400}),
    "NULs": (bytes(100), {400}),

    # --- chunks
    "chunk of size +5": (chunks(b"+5\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size -5": (chunks(b"-5\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size 0x5": (chunks(b"0x5\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size 5h": (chunks(b"5h\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size g": (chunks(b"g\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size 5_": (chunks(b"5_\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of size 0_5": (chunks(b"0_5\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of no size": (chunks(b"\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk of no size, extension": (chunks(b";a\r\nhello\r\n0\r\n\r\n"), {400}),
    "space before a size": (chunks(b" 5\r\nhello\r\n0\r\n\r\n"), {400}),
    "tab before a size": (chunks(b"\t5\r\nhello\r\n0\r\n\r\n"), {400}),
    "space behind a size": (chunks(b"5 \r\nhello\r\n0\r\n\r\n"), {400}),
    "tab behind a size": (chunks(b"5\t\r\nhello\r\n0\r\n\r\n"), {400}),
    "space in a size": (chunks(b"0 5\r\nhello\r\n0\r\n\r\n"), {400}),
    "comma behind a size": (chunks(b"5,\r\nhello\r\n0\r\n\r\n"), {400}),
    "NUL behind a size": (chunks(b"5\0\r\nhello\r\n0\r\n\r\n"), {400}),
    "size of 2^64": (chunks(b"10000000000000000\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    "size of 2^64 + 5": (chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    "size of 2^64 - 1": (chunks(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    "size of 2^63": (chunks(b"8000000000000000\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    "size of 2^32 * 16 + 5 in a million": (chunks(b"f" * 1000 + b"5\r\nhello\r\n0\r\n\r\n"), {400, 413}),
    "a thousand zeros before a size": (chunks(b"0" * 1000 + b"5\r\nhello\r\n0\r\n\r\n"), {400}),
    "sizes that overflow together": (chunks(b"5\r\nhello\r\nfffffffffffffff\r\nx"), {400, 413}),
    "no CR LF behind a chunk": (chunks(b"5\r\nhello0\r\n\r\n"), {400}),
    "other bytes behind a chunk": (chunks(b"5\r\nhelloXX0\r\n\r\n"), {400}),
    "LF behind a chunk": (chunks(b"5\r\nhello\n0\r\n\r\n"), {400}),
    "CR behind a chunk": (chunks(b"5\r\nhello\r0\r\n\r\n"), {400}),
    "LF behind a size": (chunks(b"5\nhello\r\n0\r\n\r\n"), {400}),
    "CR behind a size": (chunks(b"5\rhello\r\n0\r\n\r\n"), {400}),
    "CR CR LF behind a size": (chunks(b"5\r\r\nhello\r\n0\r\n\r\n"), {400}),
    "chunk longer than its size": (chunks(b"4\r\nhello\r\n0\r\n\r\n"), {400}),
    "LF behind the last size": (chunks(b"0\n\r\n"), {400}),
    "LF at the end": (chunks(b"0\r\n\n"), {400}),
    "CR at the end": (chunks(b"0\r\n\rX"), {400}),
    "extension with an LF": (chunks(b"5;a\nhello\r\n0\r\n\r\n"), {400}),
    "extension with a CR": (chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), {400}),
    "extension with a NUL": (chunks(b"5;a=\0\r\nhello\r\n0\r\n\r\n"), {400}),
    "quotes around an LF": (chunks(b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), {400}),
    "quotes around a CR LF": (chunks(b"2;a=\"\r\nX\r\n0\r\n\r\n\"\r\n"), {400}),
    "extension of a megabyte": (chunks(b"5;" + b"a" * 1000000 + b"\r\nhello\r\n0\r\n\r\n"), {400, 413, 431}),
    "extensions without end": (chunks(b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n" * 20000),
                               {400, 413, 431}),
    "last chunk's extension with an LF": (chunks(b"0;a\n\r\n"), {400}),
    "huge trailer": (chunks(b"0\r\nX: " + b"a" * 1000000 + b"\r\n\r\n"), {400, 431}),
    "trailers without end": (chunks(b"0\r\n" + b"X: aaaaaaaaaaaaaaaa\r\n" * 50000 + b"\r\n"), {400, 431}),
    "trailer with a space before its colon": (chunks(b"0\r\nX : a\r\n\r\n"), {400}),
    "trailer folded": (chunks(b"0\r\nX: a\r\n b\r\n\r\n"), {400}),
    "trailer without a colon": (chunks(b"0\r\nX\r\n\r\n"), {400}),
    "trailer with a bare CR": (chunks(b"0\r\nX: a\rb\r\n\r\n"), {400}),
    "trailer with an LF": (chunks(b"0\r\nX: a\nY: b\r\n\r\n"), {400}),
    "trailer with a NUL": (chunks(b"0\r\nX: \0\r\n\r\n"), {400}),
    "a request for a trailer": (chunks(b"0\r\nGET /smuggled HTTP/1.1\r\n\r\n"), {400}),
    "trailer with Content-Length": (chunks(b"0\r\nContent-Length: 5\r\n\r\n"), {400}),
    "trailer with Transfer-Encoding": (chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), {400}),
    "trailer with Host": (chunks(b"0\r\nHost: other\r\n\r\n"), {400}),

    # --- other promises
    "Expect: 200-ok": (post(b"Expect: 200-ok\r\n" + CL, b"hello"), {417}),
    "Expect: 100-continue, other": (post(b"Expect: 100-continue, other\r\n" + CL, b"hello"), {417}),
    "Expect twice": (post(b"Expect: 100-continue\r\nExpect: 100-continue\r\n" + CL, b"hello"), {400, 417}),

    # --- sizes
    "a target of 100 KB": (get(b"GET /" + b"a" * 100000 + b" HTTP/1.1"), {414}),
    "a request line without end": (b"GET /" + b"a" * 1000000, {414, 431}),
    "a field of 100 KB": (get(fields=H + b"X: " + b"a" * 100000 + b"\r\n"), {431}),
    "a name of 100 KB": (get(fields=H + b"X" * 100000 + b": a\r\n"), {431}),
    "a thousand fields": (get(fields=H + b"X: a\r\n" * 1000), {431}),
    "fields without end": (b"GET /bad HTTP/1.1\r\n" + H + b"X: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 30000, {431}),
}

# name: (message, what the echo must have); each is answered with 200, and a good request behind it as well.
ORDINARY = {
    "the least": (get(b"GET /echo HTTP/1.1"), "target /echo\n"),
    "an empty line before": (b"\r\n" + get(b"GET /echo HTTP/1.1"), "target /echo\n"),
    "names in lower case": (get(b"GET /echo HTTP/1.1", b"host: localhost\r\n"), "field host: localhost\n"),
    "names in capitals": (get(b"GET /echo HTTP/1.1", b"HOST: localhost\r\n"), "field HOST: localhost\n"),
    "no space behind the colon": (get(b"GET /echo HTTP/1.1", b"Host:localhost\r\n"), "host localhost\n"),
    "white space around a value": (get(b"GET /echo HTTP/1.1", H + b"X: \t a b\t \t\r\n"), "field X: a b\n"),
    "tabs in a value": (get(b"GET /echo HTTP/1.1", H + b"X: a\tb\r\n"), "field X: a\tb\n"),
    "an empty value": (get(b"GET /echo HTTP/1.1", H + b"X:\r\nY: \r\n"), "field X: \nfield Y: \n"),
    "colons in a value": (get(b"GET /echo HTTP/1.1", H + b"X: :a: b:\r\n"), "field X: :a: b:\n"),
    "bytes above ASCII in a value": (get(b"GET /echo HTTP/1.1", H + "X: ä\r\n".encode()), "field X: ä\n"),
    "quotes in a value": (get(b"GET /echo HTTP/1.1", H + b"X: \"a, b\"; c='\\\r\n"), "field X: \"a, b\"; c='\\\n"),
    "all of a token in a name": (get(b"GET /echo HTTP/1.1", H + b"a!#$%&'*+-.^_`|~0Z: 1\r\n"),
                                 "field a!#$%&'*+-.^_`|~0Z: 1\n"),
    "fields twice": (get(b"GET /echo HTTP/1.1", H + b"X: a\r\nX: b\r\nx: c\r\n"),
                     "field X: a\nfield X: b\nfield x: c\n"),
    "a hundred fields": (get(b"GET /echo HTTP/1.1", H + b"".join(b"X-%d: a\r\n" % i for i in range(99))),
                         "field X-98: a\n"),
    "a field of 16 KB": (get(b"GET /echo HTTP/1.1", H + b"Cookie: " + b"c" * 16384 + b"\r\n"), "c" * 16384 + "\n"),
    "a target of 8000 bytes": (get(b"GET /echo?" + b"a" * 7990 + b" HTTP/1.1"), "query " + "a" * 7990 + "\n"),
    "all of a target": (get(b"GET /echo/a%2fb;c=d,e:@!$&'()*+~-._?/?:@[]{}|\\^`\"<>%zz HTTP/1.1"),
                        "path /echo/a%2fb;c=d,e:@!$&'()*+~-._\nquery /?:@[]{}|\\^`\"<>%zz\n"),
    "dots and slashes": (get(b"GET //echo/../%2e%2e//x HTTP/1.1"), "path //echo/../%2e%2e//x\n"),
    "%00 in the target": (get(b"GET /echo%00 HTTP/1.1"), "path /echo%00\n"),
    "two question marks": (get(b"GET /echo?a?b HTTP/1.1"), "path /echo\nquery a?b\n"),
    "an empty query": (get(b"GET /echo? HTTP/1.1"), "target /echo?\npath /echo\nquery \n"),
    "absolute-form": (get(b"GET http://localhost/echo?x HTTP/1.1"), "path /echo\nquery x\nhost localhost\n"),
    "absolute-form in capitals": (get(b"GET HTTP://LOCALHOST/echo HTTP/1.1"), "path /echo\n"),
    "absolute-form without a path": (get(b"GET http://localhost HTTP/1.1", H), "hello"),
    "OPTIONS *": (get(b"OPTIONS * HTTP/1.1"), "target *\n"),
    "OPTIONS of a path": (get(b"OPTIONS /echo HTTP/1.1"), "method OPTIONS\n"),
    "DELETE": (get(b"DELETE /echo HTTP/1.1"), "method DELETE\n"),
    "PATCH with a body": (b"PATCH /echo HTTP/1.1\r\n" + H + CL + b"\r\nhello", "\n\nhello"),
    "PROPFIND": (get(b"PROPFIND /echo HTTP/1.1"), "method PROPFIND\n"),
    "GET with a body": (b"GET /echo HTTP/1.1\r\n" + H + CL + b"\r\nhello", "\n\nhello"),
    "GET with an empty body": (get(b"GET /echo HTTP/1.1", H + b"Content-Length: 0\r\n"), "size 0\n"),
    "POST without a body": (get(b"POST /echo HTTP/1.1"), "size 0\n"),
    "a length with spaces around it": (b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: \t5 \r\n\r\nhello",
                                       "\n\nhello"),
    "a body that looks like a request": (b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: %d\r\n\r\n"
                                         % len(SMUGGLED) + SMUGGLED, "\n\n" + SMUGGLED.decode()),
    "a body of bare line ends": (b"POST /echo HTTP/1.1\r\n" + H + CL + b"\r\n\r\n\n\r\0", "\n\n\r\n\n\r\0"),
    "Host with a port": (get(b"GET /echo HTTP/1.1", b"Host: localhost:8080\r\n"), "host localhost:8080\n"),
    "Host of IPv4": (get(b"GET /echo HTTP/1.1", b"Host: 127.0.0.1:80\r\n"), "host 127.0.0.1:80\n"),
    "Host of IPv6": (get(b"GET /echo HTTP/1.1", b"Host: [::1]:8080\r\n"), "host [::1]:8080\n"),
    "Host of IPv6 without a port": (get(b"GET /echo HTTP/1.1", b"Host: [2001:db8::1]\r\n"), "host [2001:db8::1]\n"),
    "Host with _ and digits": (get(b"GET /echo HTTP/1.1", b"Host: a_b-1.example\r\n"), "host a_b-1.example\n"),
    "Host at the end": (get(b"GET /echo HTTP/1.1", b"X: a\r\n" + H), "host localhost\n"),
    "chunked": (b"POST /echo HTTP/1.1\r\n" + H + TE + b"\r\n5\r\nhello\r\n0\r\n\r\n", "\n\nhello"),
    "chunked in capitals": (b"POST /echo HTTP/1.1\r\n" + H + b"TRANSFER-ENCODING: Chunked\r\n\r\n"
                            b"5\r\nhello\r\n0\r\n\r\n", "\n\nhello"),
    "chunked, spaces around": (b"POST /echo HTTP/1.1\r\n" + H + b"Transfer-Encoding:\t chunked \r\n\r\n"
                               b"5\r\nhello\r\n0\r\n\r\n", "\n\nhello"),
    "chunked and empty": (b"POST /echo HTTP/1.1\r\n" + H + TE + b"\r\n0\r\n\r\n", "size 0\n"),
    "chunks of many sizes": (b"POST /echo HTTP/1.1\r\n" + H + TE + b"\r\n1\r\nh\r\n003\r\nell\r\n1\r\no\r\n"
                             b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n", "\n\nhello01234567890123456789"),
    "chunk extensions": (b"POST /echo HTTP/1.1\r\n" + H + TE + b"\r\n5;a;b=\"c;\";d=e\r\nhello\r\n0;z\r\n\r\n",
                         "\n\nhello"),
    "trailers": (b"POST /echo HTTP/1.1\r\n" + H + TE + b"Trailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: a\r\nY: b\r\n\r\n",
                 "\n\nhello"),
    "GET with chunks": (b"GET /echo HTTP/1.1\r\n" + H + TE + b"\r\n5\r\nhello\r\n0\r\n\r\n", "\n\nhello"),
    "TE and Connection": (get(b"GET /echo HTTP/1.1", H + b"TE: trailers\r\nConnection: TE\r\n"), "field TE: trailers"),
    "Connection: keep-alive": (get(b"GET /echo HTTP/1.1", H + b"Connection: keep-alive\r\n"), "target /echo\n"),
    "Connection: unknown": (get(b"GET /echo HTTP/1.1", H + b"Connection: , x,\r\n"), "target /echo\n"),
    "an upgrade that is not taken": (get(b"GET /echo HTTP/1.1", H + b"Connection: Upgrade, HTTP2-Settings\r\n"
                                         b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), "target /echo\n"),
    "a websocket that is none": (get(b"GET /echo HTTP/1.1", H + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "target /echo\n"),
    "POST with an upgrade": (b"POST /echo HTTP/1.1\r\n" + H + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CL +
                             b"\r\nhello", "\n\nhello"),
    "names like those that count": (b"POST /echo HTTP/1.1\r\n" + H + CL + b"X-Content-Length: 9\r\nContent-Length-X: 9"
                                    b"\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n\r\nhello", "\n\nhello"),
}


def refusal(data, end, before=0):
    """What is wrong with what came back, or nothing: `before` good answers, a refusal, and no more."""
    if end != "end":
        return f"{end} behind {data[:200]!r}"
    try:
        answers = wire.responses(data)
    except wire.Malformed as error:
        return f"{error} in {data[:400]!r}"
    if len(answers) != before + 1:
        return f"{len(answers)} answers: {answers}"
    if any(answer.status != 200 for answer in answers[:-1]):
        return f"the good one as well: {answers}"
    last = answers[-1]
    if not 400 <= last.status < 600 or not last.close:
        return f"not refused: {last}"
    if last.interim:
        return f"a refusal behind {last.interim}"
    return None


WAYS = {
    "alone": lambda bad: ([bad], 0),
    "a good one behind": lambda bad: ([bad + SMUGGLED], 0),
    "behind a good one": lambda bad: ([GOOD + bad + SMUGGLED], 1),
    "behind two good ones, apart": lambda bad: ([GOOD, GOOD, bad, SMUGGLED], 2),
    "in two halves": lambda bad: ([bad[:len(bad) // 2], bad[len(bad) // 2:] + SMUGGLED], 0),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_what_is_ambiguous_is_refused(place, way):
    server, port = wire.serve(place)
    wrong = []
    for name, (bad, statuses) in AMBIGUOUS.items():
        pieces, before = WAYS[way](bad)
        calls = wire.told(port)["calls"]
        data, end = wire.talk(port, b"".join(pieces), pieces=pieces)
        trouble = refusal(data, end, before)
        if not trouble and statuses and wire.responses(data)[-1].status not in statuses:
            trouble = f"{wire.responses(data)[-1].status} and not {statuses}"
        if not trouble and wire.told(port)["calls"] != calls + before:
            trouble = "the application was called"
        if trouble:
            wrong.append(f"{name}: {trouble}")
    assert not wrong, "\n".join(wrong)
    assert not server.find("worker-exited")


def test_what_is_odd_but_right_is_served(place):
    server, port = wire.serve(place)
    wrong = []
    for name, (good, expected) in ORDINARY.items():
        bytewise = [good[i:i + 1] for i in range(min(len(good), 600))] + [good[600:]]
        for count, pieces in ((2, [good]), (2, bytewise), (3, [good + GOOD])):
            last = wire.message("/", Connection="close")
            data, end = wire.talk(port, b"", pieces=[*pieces, last])
            try:
                answers = wire.responses(data)
            except wire.Malformed as error:
                wrong.append(f"{name}: {error}")
                continue
            statuses = [answer.status for answer in answers]
            if end != "end" or statuses != [200] * count or not answers[-1].close:
                wrong.append(f"{name}: {statuses} {end} {data[:300]!r}")
            elif expected not in answers[0].text():
                wrong.append(f"{name}: not {expected!r} in {answers[0].text()[:500]!r}")
    assert not wrong, "\n".join(wrong)
    assert not server.find("worker-exited")


def test_connection_decides_whether_it_goes_on(place):
    _, port = wire.serve(place)
    for line, fields, goes_on in (
            (b"GET / HTTP/1.1", b"", True), (b"GET / HTTP/1.1", b"Connection: close\r\n", False),
            (b"GET / HTTP/1.1", b"connection: CLOSE\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: x, close\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: x\r\nConnection: close\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: close, keep-alive\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: closed\r\n", True),
            (b"GET / HTTP/1.0", b"", False), (b"GET / HTTP/1.0", b"Connection: close\r\n", False),
            (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", True),
            (b"GET / HTTP/1.0", b"Connection: Keep-Alive\r\n", True),
            (b"GET / HTTP/1.0", b"Connection: keep-alive, close\r\n", False)):
        data, end = wire.talk(port, b"", pieces=[get(line, H + fields), wire.message("/", Connection="close")])
        assert end == "end"
        answers = wire.responses(data)
        assert [answer.status for answer in answers] == [200] * (1 + goes_on), (line, fields)
        assert answers[0].close != goes_on, (line, fields)
        if line.endswith(b"1.0") and goes_on:  # such a client must be told
            assert answers[0].get("connection").lower() == "keep-alive"


def test_names_of_smuggled_requests_never_reach_the_application(place):
    """A sum over all of the first table, in one worker and one process: not one call beyond the good ones."""
    server, port = wire.serve(place, processes=2, access_log="common")
    for bad, _ in AMBIGUOUS.values():
        wire.talk(port, bad + SMUGGLED)
    assert wire.told(port)["calls"] == 0
    lines = [event["text"] for event in server.find("output")]
    assert not [line for line in lines if re.search("smuggled.* 200 ", line)]
