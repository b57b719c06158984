from django.db import models


class Visit(models.Model):
    worker = models.IntegerField()
    name = models.CharField(max_length=80)
    when = models.DateTimeField(auto_now_add=True)
