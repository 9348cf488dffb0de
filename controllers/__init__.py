from . import dispatcher, run, stream
