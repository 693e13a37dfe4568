"""JetScale's reference backend: the api, the WebSocket service and the migrations."""
