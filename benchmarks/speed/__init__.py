"""How much time and memory does medshot take, compared with other libraries and plain loops?"""
