import os

from django.db.models import Count
from django.http import JsonResponse
from django.shortcuts import redirect, render

from guestbook.models import Visit


def page(request):
    """The guestbook; POST writes into it."""
    if request.method == "POST":
        Visit.objects.create(worker=os.getpid(), name=request.POST.get("name", "")[:80] or "somebody")
        return redirect("/")
    visits = Visit.objects.order_by("-id")[:20]
    return render(request, "page.html", {"worker": os.getpid(), "visits": visits, "count": Visit.objects.count()})


def visit(_request):
    """A visit by whoever has no form: the number of it, and how many each worker has seen."""
    made = Visit.objects.create(worker=os.getpid(), name="a program")
    workers = Visit.objects.values("worker").annotate(visits=Count("id")).order_by("worker")
    return JsonResponse({"visit": made.id, "worker": made.worker,
                         "workers": {entry["worker"]: entry["visits"] for entry in workers}})
