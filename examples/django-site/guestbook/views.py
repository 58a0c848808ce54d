import csv
import hashlib
import logging

from django.contrib import messages
from django.http import JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.http import require_POST
from django.views.generic import FormView

from .forms import SignForm, UploadForm

logger = logging.getLogger(__name__)

# A browser keeps 4 KiB a cookie, and drops what is larger.
MOST = 8


def entries(request):
    return [
        {**e, 'at': timezone.datetime.fromisoformat(e['at'])}
        for e in request.session.get('entries', [])
    ]


def index(request):
    return render(request, 'guestbook/index.html', {'entries': entries(request)})


class SignView(FormView):
    form_class = SignForm
    template_name = 'guestbook/sign.html'
    success_url = reverse_lazy('guestbook:index')

    def form_valid(self, form):
        entry = {**form.cleaned_data, 'at': timezone.now().isoformat(timespec='seconds')}
        signed = self.request.session.get('entries', [])
        self.request.session['entries'] = [entry, *signed][:MOST]
        logger.info('signed by %s', entry['name'])
        messages.success(self.request, f'Thank you, {entry["name"]}.')
        return super().form_valid(form)


@require_POST
def forget(request):
    request.session.flush()
    messages.info(request, 'Forgotten.')
    return redirect('guestbook:index')


def upload(request):
    """Nothing is kept: the answer says what has arrived."""
    file = None
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == 'POST' and form.is_valid():
        sent = form.cleaned_data['file']
        digest = hashlib.sha256()
        for chunk in sent.chunks():
            digest.update(chunk)
        file = {
            'name': sent.name,
            'size': sent.size,
            'type': sent.content_type,
            'sha256': digest.hexdigest(),
        }
        logger.info('upload: %d bytes of %s', sent.size, sent.content_type)
    return render(request, 'guestbook/upload.html', {'form': form, 'file': file})


def entries_json(request):
    return JsonResponse({'entries': entries(request)})


class Echo:
    """What csv wants to write to: it gives back what it is given."""

    def write(self, value):
        return value


def entries_csv(request):
    """Made row by row, while it is sent."""
    writer = csv.writer(Echo())
    rows = [('name', 'email', 'text', 'at')]
    rows += [(e['name'], e['email'], e['text'], e['at'].isoformat()) for e in entries(request)]
    return StreamingHttpResponse(
        (writer.writerow(row) for row in rows),
        content_type='text/csv',
        headers={'Content-Disposition': 'attachment; filename="entries.csv"'},
    )


def broken(request):
    """What a mistake looks like: a page here, and a traceback in the log."""
    raise RuntimeError('this page is broken on purpose')
