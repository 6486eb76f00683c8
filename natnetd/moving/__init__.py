"""The way over from the Proxmox NAT how-to: what interfaces(5) stanzas do, in words of natnetd's file.

Pure: text in, an answer out. The verb reads the files and prints.
"""
