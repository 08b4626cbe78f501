def write_report(curves, command, docs):
    pass
