"""The only room that talks to a model.

`engine.Engine` is the one interface; `composer` is the embedded engine without a model.  `ledger` keeps every call,
`model.PixelLLM` is the face the engines show to distilabel.
"""
