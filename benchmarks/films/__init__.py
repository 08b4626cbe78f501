"""Do patches of large films show what their overview at 224 pixels loses?"""
