"""What the site has under which path."""

from django.urls import path

from hello import views

urlpatterns = [
    path("", views.hello),
    path("cold/<name>", views.cold),
    path("page", views.page),
]
