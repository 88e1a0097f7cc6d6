"""call.py LIBRARY - do calls of holdfast.py, as call.php does"""
import base64
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from holdfast import Holdfast, HoldfastError  # noqa: E402

NAMES = {"publishMany": "publish_many"}


def with_bytes(value):
    return base64.b64decode(value["_binary"]) if isinstance(value, dict) and "_binary" in value else value


def as_json(value):
    return {"_binary": base64.b64encode(value).decode()}


asked = json.load(sys.stdin)
holdfast = Holdfast(asked["where"], **asked["options"])
said = []
for name, args in asked["calls"]:
    more = args.pop() if name == "publish" and len(args) == 4 else {}
    try:
        said.append({"ok": getattr(holdfast, NAMES.get(name, name))(*map(with_bytes, args), **more)})
    except HoldfastError as error:
        said.append({"refused": error.reason, "said": str(error)})
print(json.dumps(said, default=as_json))
