def run(settings, server, arguments):
    return 0
