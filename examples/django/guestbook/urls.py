from django.urls import path

from guestbook import views

urlpatterns = [
    path("", views.page),
    path("visit", views.visit),
]
