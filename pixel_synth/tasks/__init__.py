"""Generation tasks: scenario, dialogue, reasoning.  Each file holds one: what it asks, its schema, what it returns.

The coroutines need no framework and take any `Ask`; `steps` wraps each as a distilabel ``Task`` that also works
alone in anyone's pipeline.
"""
