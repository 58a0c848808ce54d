"""Hello, the same by a route with a variable, and a page of a template."""

from django.http import HttpResponse
from django.shortcuts import render

HELLO = "hello, world!\n"
ROWS = [{"number": number, "name": f"row <{number}>"} for number in range(1, 51)]


def hello(request):
    return HttpResponse(HELLO, content_type="text/plain")


def cold(request, name):
    """As much work as for hello, by code that nothing has run before."""
    return HttpResponse(f"hello, {name}!\n", content_type="text/plain")


def page(request):
    return render(request, "hello/page.html", {"title": "Rows", "rows": ROWS})
