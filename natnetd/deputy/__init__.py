"""The root deputy: does the few things that the service may not, by a closed list and with distrust.

It imports nothing of natnetd but `natnetd.errors`: what runs as root is to be read in one go.
"""
