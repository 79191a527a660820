# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks AWS signature version 4 as S3 has it, from the server's side."""
import calendar
import hashlib
import hmac
import time
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_MAX = 15 * 60


class Refused(Exception):
    """Why a request is refused: status, code and message as S3 gives them."""

    def __init__(self, status, code, message, region=None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.region = region


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~")


def canonical_query(query):
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{key}={value}" for key, value in
                    sorted((_quote(key), _quote(value)) for key, value in pairs))


def canonical_request(request, signed):
    lines = [request.method, _quote(urllib.parse.unquote(request.path), "/"),
             canonical_query(request.query)]
    lines += [f"{name}:{request.headers.get(name, '')}" for name in signed]
    lines += ["", ";".join(signed), request.headers.get("x-amz-content-sha256", "")]
    return "\n".join(lines)


def signature(secret, scope, date, canonical):
    day, region, service, end = scope.split("/")
    key = _hmac(("AWS4" + secret).encode(), day)
    for part in (region, service, end):
        key = _hmac(key, part)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return _hmac(key, "\n".join((ALGORITHM, date, scope, digest))).hex()


def parse_authorization(text):
    """Gives access key, scope, signed headers and signature."""
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise Refused(400, "InvalidRequest", "only AWS4-HMAC-SHA256 is known")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    key, _, scope = fields.get("Credential", "").partition("/")
    signed = fields.get("SignedHeaders", "").split(";")
    if scope.count("/") != 3 or not fields.get("Signature"):
        raise Refused(400, "AuthorizationHeaderMalformed", "the authorization is malformed")
    return key, scope, signed, fields["Signature"]


def check_date(date, scope):
    try:
        then = calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError as error:
        raise Refused(403, "AccessDenied", "no valid x-amz-date") from error
    if abs(time.time() - then) > SKEW_MAX:
        raise Refused(403, "RequestTimeTooSkewed", "the clocks differ by too much")
    if not scope.startswith(date[:8] + "/"):
        raise Refused(400, "AuthorizationHeaderMalformed", "the scope has another day")


def check_payload(request):
    digest = request.headers.get("x-amz-content-sha256")
    if digest is None:
        raise Refused(400, "InvalidRequest", "x-amz-content-sha256 is missing")
    if digest.startswith("STREAMING-"):
        raise Refused(501, "NotImplemented", "signed chunks are not known")
    if digest != UNSIGNED and digest != hashlib.sha256(request.body).hexdigest():
        raise Refused(400, "XAmzContentSHA256Mismatch", "the body is another one")


def check(request, access_key, secret, token, region):
    """Raises Refused unless the request was signed with these credentials for that region."""
    text = request.headers.get("authorization")
    if text is None:
        raise Refused(403, "AccessDenied", "access denied")
    key, scope, signed, given = parse_authorization(text)
    if key != access_key:
        raise Refused(403, "InvalidAccessKeyId", "no such access key")
    if scope.split("/")[1] != region:
        raise Refused(301, "PermanentRedirect", "the bucket is in another region", region)
    if not {"host", "x-amz-content-sha256"} <= set(signed):
        raise Refused(403, "AccessDenied", "headers that must be signed are not")
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in signed]
    if unsigned:
        raise Refused(403, "AccessDenied", f"{unsigned[0]} is not signed")
    if request.headers.get("x-amz-security-token") != token:
        raise Refused(403, "InvalidToken", "the session token is not valid")
    date = request.headers.get("x-amz-date", "")
    check_date(date, scope)
    wanted = signature(secret, scope, date, canonical_request(request, signed))
    if not hmac.compare_digest(wanted, given):
        raise Refused(403, "SignatureDoesNotMatch", "the signature is another one")
    check_payload(request)
