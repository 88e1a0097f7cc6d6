# machine.py - pins, whose values stand in files
import _board


class Pin:
    OUT = 1

    def __init__(self, number, mode=OUT):
        self._number = number

    def value(self, value):
        _board.pin(self._number, int(bool(value)))
