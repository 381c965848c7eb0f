"""One module for each arrow of the flow: the only writers of the database.

Views, API, tasks and commands call them with keyword arguments; they decide nothing that
``engine`` decides and know nothing of requests.
"""
