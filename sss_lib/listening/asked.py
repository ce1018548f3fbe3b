"""What a widget's page may ask the kernel for, and that it always gets an answer."""

from collections.abc import Callable, Mapping

import anywidget

from sss_lib.listening.outside import in_words


class Asked(anywidget.AnyWidget):
    """A widget whose page asks by messages {"ask": what, "id": ...}; only what `_answers` names is answered.

    An answer takes the message and its buffers, and gives what is sent back, with "buffers" beside it.
    """

    _answers: Mapping[str, Callable[[dict, list], dict]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.on_msg(self._receive)

    def _receive(self, _: object, message: object, buffers: list) -> None:
        """Answer a message of the page, with what went wrong where something did."""
        message = message if isinstance(message, dict) else {}
        answer = self._answers.get(str(message.get("ask")))
        reply: dict = {"problem": f"{message.get('ask')!r} can't be asked for"}
        parts: list = []
        if answer:
            try:
                reply = answer(message, buffers)
                parts = reply.pop("buffers", [])
            except Exception as error:  # whatever it is, the page must not wait in vain
                reply = {"problem": in_words(error)}
        self.send({**reply, "id": message.get("id")}, parts)
