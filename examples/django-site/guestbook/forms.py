from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat


def not_too_large(file):
    if file.size > settings.GUESTBOOK_MAX_UPLOAD:
        raise ValidationError(f'At most {filesizeformat(settings.GUESTBOOK_MAX_UPLOAD)}, please.')


class SignForm(forms.Form):
    name = forms.CharField(max_length=40)
    email = forms.EmailField(required=False)
    text = forms.CharField(max_length=200, widget=forms.Textarea(attrs={'rows': 4}))


class UploadForm(forms.Form):
    file = forms.FileField(validators=[not_too_large])
