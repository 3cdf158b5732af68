#!/bin/sh
# Makes the certificates of this folder anew.
set -eu
cd "$(dirname "$0")"
days=36500
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
authority() {
    key "$1.key"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days "$days" -out "$1.pem" \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign'
}
authority ca 'Test authority'
authority other_ca 'Another test authority'
for name in server client; do
    key "$name.key"
    extensions=$(mktemp)
    case $name in
        server) usage=serverAuth; names='subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' ;;
        client) usage=clientAuth; names='subjectAltName=DNS:client' ;;
    esac
    printf 'basicConstraints=CA:FALSE\nextendedKeyUsage=%s\n%s\n' "$usage" "$names" > "$extensions"
    openssl req -new -key "$name.key" -subj "/O=system:masters/CN=test-$name" |
        openssl x509 -req -CA ca.pem -CAkey ca.key -days "$days" -extfile "$extensions" -out "$name.pem"
    rm "$extensions"
done
rm ca.key other_ca.key
