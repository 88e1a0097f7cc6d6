# os.py - that of MicroPython, and urandom, which its other ports have
from uos import *
from binascii import unhexlify as _bytes
import _board


def urandom(count):
    return _bytes(_board.random(count))
