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
# A server that nobody else vouches for, and the same a day after its end.
names='basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:store.test,DNS:localhost,IP:127.0.0.1\n'
work=$(mktemp -d)
key self_signed.key
# shellcheck disable=SC2059
printf "$names" > "$work/extensions"
openssl req -new -key self_signed.key -subj /CN=self-signed -out "$work/request"
openssl x509 -req -in "$work/request" -signkey self_signed.key -days "$days" \
    -extfile "$work/extensions" -out self_signed.pem
printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index\nrand_serial=yes\npolicy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n' \
    "$work" > "$work/ca"
: > "$work/index"
openssl ca -batch -notext -selfsign -config "$work/ca" -keyfile self_signed.key -in "$work/request" \
    -outdir "$work" -startdate 20200101000000Z -enddate 20200102000000Z \
    -extfile "$work/extensions" -out expired.pem
rm -r "$work"
