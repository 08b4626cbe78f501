def write_report(curves, docs):
    pass
