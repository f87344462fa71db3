"""A handler that stays: whatever it loads, it loads once, and then it works on many items.

    pip install awslambdaric
    kubectl workqueue local apple banana cherry --runtime-api -- \
        python3 -m awslambdaric handler.handler

The item is the event: a JSON document as it is, other text as a string. What the handler returns is
the item's output. An exception means that the attempt failed; one of a class named DoNotRetry, that
the item is bad and must not be retried. An item can be processed more than once: make your handler
idempotent.
"""

import time

# In the place of what takes long: a model, connections.
time.sleep(1)


class DoNotRetry(Exception):
    """The item is bad."""


def handler(event, context):
    if not event:
        raise DoNotRetry("the item is empty")
    told = context.client_context.custom
    print("item", told["itemId"], "attempt", told["attempt"])
    return f"Processed {event}\n"
