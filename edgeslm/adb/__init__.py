"""An Android device that adb leads to: find it, look at it, copy to it, run there.

Everything goes through Google's own client (`adb`), which has the keys and knows the cables.
"""
