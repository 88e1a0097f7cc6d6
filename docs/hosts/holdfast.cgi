#!/bin/sh
exec /usr/local/bin/holdfast-gateway --dir /var/lib/holdfast
