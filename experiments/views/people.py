"""Signing in and out."""

from django.contrib.auth.views import LoginView, LogoutView


class SignIn(LoginView):
    """Ask for name and password."""

    redirect_authenticated_user = True


class SignOut(LogoutView):
    """End the session; POST only."""
