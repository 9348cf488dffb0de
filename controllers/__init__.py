from . import admission, dispatcher, run, stream
