from django.urls import path

from . import views

app_name = 'guestbook'

urlpatterns = [
    path('', views.index, name='index'),
    path('sign/', views.SignView.as_view(), name='sign'),
    path('forget/', views.forget, name='forget'),
    path('upload/', views.upload, name='upload'),
    path('entries.json', views.entries_json, name='json'),
    path('entries.csv', views.entries_csv, name='csv'),
    path('broken/', views.broken, name='broken'),
]
