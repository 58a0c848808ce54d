"""
URL configuration for mysite project.

For more information please see:
    https://docs.djangoproject.com/en/5.2/topics/http/urls/
"""
from django.urls import include, path

urlpatterns = [
    path('', include('guestbook.urls')),
]
