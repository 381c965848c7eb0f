"""The root of the URLs."""

from django.urls import include, path

urlpatterns = [path("", include("experiments.urls"))]
