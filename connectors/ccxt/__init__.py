"""Exchanges by ccxt: live by their websockets, the past by their REST APIs. Nothing here is about one venue alone."""
