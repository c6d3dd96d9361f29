"""An authorization server and an API behind it, for tests on this machine.

Everything that decides about a login is by others: django-oauth-toolkit (client credentials,
authorization code with PKCE, refresh tokens with rotation and reuse protection, revocation, the
consent page), Authlib (JWT bearer), Django's own login form, and the token login of Django REST
framework. This file puts them together and lets a test prepare and watch them under /control/.

Usage: python server.py DIRECTORY. Prints the port; ends when standard input does.
"""

import json
import os
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on the loopback interface only

settings.configure(
    SECRET_KEY="for tests only",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    MIDDLEWARE=[
        f"{__name__}.count",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": False,
            "OPTIONS": {
                "context_processors": ["django.template.context_processors.request"],
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {
                            "registration/login.html": "<form method=post>{% csrf_token %}"
                            "{{ form }}<input type=hidden name=next value='{{ next }}'></form>"
                        },
                    ),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(sys.argv[1]) / "server.sqlite3"),
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # fast, and worthless
    OAUTH2_PROVIDER={
        "SCOPES": {"read": "Read things", "write": "Write things"},
        "ACCESS_TOKEN_EXPIRE_SECONDS": 60,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "PKCE_REQUIRED": True,
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
            "rest_framework.authentication.TokenAuthentication",
        ],
        "DEFAULT_PERMISSION_CLASSES": [],
    },
)
django.setup()

from authlib.integrations.django_oauth2 import AuthorizationServer  # noqa: E402
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError  # noqa: E402
from authlib.oauth2.rfc7523 import JWTBearerGrant  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.utils.http import http_date  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from joserfc import jwt  # noqa: E402
from joserfc.errors import JoseError  # noqa: E402
from joserfc.jwk import RSAKey  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402
from rest_framework.authtoken.views import obtain_auth_token  # noqa: E402
from rest_framework.decorators import api_view, permission_classes  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.response import Response  # noqa: E402

PASSWORD = "pass:w0rd & more"
LOGINS = []


def count(get_response):
    """Notes each request that logs in: its path, its grant and who asks."""

    def middleware(request):
        if request.path in ("/o/token/", "/jwt/token", "/session/login"):
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
            basic = request.headers.get("Authorization", "")
            LOGINS.append(
                {
                    "path": request.path,
                    "grant": form.get("grant_type"),
                    "client": form.get("client_id"),
                    "basic": basic.startswith("Basic "),
                }
            )
        return get_response(request)

    return middleware


class HasToken(BasePermission):
    """Lets tokens of clients in as well, which belong to no user."""

    def has_permission(self, request, view):
        return request.auth is not None


@api_view(["GET", "POST"])
@permission_classes([HasToken])
def things(request):
    """The API: says who asks, and repeats what it was sent."""
    return Response({"user": getattr(request.user, "username", None), "sent": request.data})


class ServiceAccount(ClientMixin):
    """A client of the JWT bearer grant."""

    def __init__(self, email, key):
        self.client_id, self.key = email, key

    def check_grant_type(self, grant_type):
        return grant_type == JWTBearerGrant.GRANT_TYPE

    def get_allowed_scope(self, scope):
        return scope or ""


ACCOUNTS = {}


class Grant(JWTBearerGrant):
    LEEWAY = 10

    def resolve_issuer_client(self, issuer):
        return ACCOUNTS.get(issuer)

    def resolve_client_public_key(self, client):
        return client.key

    def get_audiences(self):
        return [self.request.uri]

    def authenticate_user(self, subject):
        return User.objects.filter(email=subject).first()

    def has_granted_permission(self, client, user):
        return True

    def verify_claims(self, claims):
        # As Authlib's, by a clock that is wrong.
        options = {**self.CLAIMS_OPTIONS, "aud": {"essential": True, "values": self.get_audiences()}}
        now = int(time.time()) + int(parse_qs(self.request.uri.partition("?")[2]).get("skew", ["0"])[0])
        try:
            jwt.JWTClaimsRegistry(now=now, leeway=self.LEEWAY, **options).validate(claims)
        except JoseError as error:
            raise InvalidGrantError(description=str(error)) from error


class Issuer(AuthorizationServer):
    def save_token(self, token, request):
        AccessToken.objects.create(
            user=request.user,
            token=token["access_token"],
            expires=timezone.now() + timedelta(seconds=token["expires_in"]),
            scope="read write",
        )


issuer = Issuer(None, None)
issuer.register_grant(Grant)


@csrf_exempt
def jwt_token(request):
    response = issuer.create_token_response(request)
    response["Date"] = http_date(time.time() + int(request.GET.get("skew", 0)))
    return response


def application(name):
    return Application.objects.get(client_id=name)


@csrf_exempt
def control(request, what):
    """Prepares and watches; knows nothing of logins."""
    given = json.loads(request.body or b"{}")
    client = given.get("client")
    answer = {}
    if what == "client":
        Application.objects.create(
            client_id=client,
            client_secret=given.get("secret", ""),
            client_type="confidential" if given.get("secret") else "public",
            authorization_grant_type=given["grant"],
            redirect_uris=given.get("redirect", ""),
            name=client,
            user=User.objects.get(username="ada"),
        )
    elif what == "account":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        ACCOUNTS[given["email"]] = ServiceAccount(given["email"], RSAKey.import_key(public))
        form = PrivateFormat.PKCS8 if given.get("pkcs8", True) else PrivateFormat.TraditionalOpenSSL
        answer = {
            "type": "service_account",
            "client_email": given["email"],
            "private_key_id": "1",
            "private_key": key.private_bytes(Encoding.PEM, form, NoEncryption()).decode(),
            "token_uri": request.build_absolute_uri("/jwt/token"),
        }
    elif what == "refresh":
        user = User.objects.get(username="ada")
        access = AccessToken.objects.create(
            user=user,
            application=application(client),
            token=f"first-of-{client}",
            expires=timezone.now(),
            scope="read write",
        )
        token = RefreshToken.objects.create(
            user=user,
            application=application(client),
            token=f"refresh-token-of-{client}",
            access_token=access,
        )
        answer = {"token": token.token}
    elif what == "expire":
        tokens = AccessToken.objects.filter(application=application(client))
        answer = {"tokens": tokens.update(expires=timezone.now() - timedelta(seconds=1))}
    elif what == "logout":
        answer = {"tokens": Token.objects.all().delete()[0]}
    elif what == "logins":
        answer = {"logins": LOGINS}
    return JsonResponse(answer)


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("accounts/login/", LoginView.as_view()),
    path("jwt/token", jwt_token),
    path("session/login", obtain_auth_token),
    path("things", things),
    path("control/<what>", control),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def end_with_standard_input():
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", "ada@example.com", PASSWORD)
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(get_wsgi_application())
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()
