#!/usr/bin/env bash
# Certificates for one Dask cluster: a private authority, and one certificate that it signed for
# the scheduler, the workers and the client alike. Dask lets in whoever shows a certificate of
# this authority, and nobody else, whatever names the machines have.
#
#     make-certificates.sh FOLDER [DAYS]
#
# makes ca.pem, ca.key, dask.pem, dask.key in FOLDER, readable by their owner only. Keep ca.key
# off the cluster: it is needed again only for the next certificate. Where ca.pem and ca.key are
# there already, only dask.pem and dask.key are made anew, so a yearly renewal is the same line.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: make-certificates.sh FOLDER [DAYS]" >&2
    exit 2
fi
folder=$1
days=${2:-397}
readonly ca_days=3650 # the authority outlives what it signs

umask 077 # a key that others could read for a moment is no key
mkdir -p "$folder"
work=$(mktemp -d "$folder/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT

# openssl, heard only where it fails.
ssl() {
    local said
    if ! said=$(openssl "$@" 2>&1); then
        echo "make-certificates.sh: openssl $1 failed: $said" >&2
        exit 1
    fi
}
new_key() { ssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

if [ -e "$folder/ca.pem" ] && [ ! -e "$folder/ca.key" ]; then
    # A new authority would shut out every process that holds the old one.
    echo "make-certificates.sh: $folder/ca.pem is there and its key is not: bring ca.key" \
        "back, or remove ca.pem to start a new authority" >&2
    exit 1
fi
if [ ! -e "$folder/ca.pem" ]; then
    # A file of our own: what the machine's openssl.cnf says must not matter.
    cat > "$work/ca.conf" <<'END'
[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = geoseg cluster authority
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
END
    new_key "$work/ca.key"
    ssl req -x509 -new -sha256 -config "$work/ca.conf" -key "$work/ca.key" -days "$ca_days" \
        -out "$work/ca.pem"
    mv "$work/ca.key" "$work/ca.pem" "$folder"
fi

# Every process is a server to some and a client to others, so the certificate is good for both.
cat > "$work/dask.conf" <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = geoseg cluster
[process]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:geoseg-cluster
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
new_key "$work/dask.key"
ssl req -new -sha256 -config "$work/dask.conf" -key "$work/dask.key" -out "$work/dask.csr"
ssl x509 -req -sha256 -in "$work/dask.csr" -days "$days" -CA "$folder/ca.pem" \
    -CAkey "$folder/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
    -extfile "$work/dask.conf" -extensions process -out "$work/dask.pem"
# Python 3.13 and later are as strict as this.
ssl verify -x509_strict -CAfile "$folder/ca.pem" "$work/dask.pem"
mv "$work/dask.key" "$work/dask.pem" "$folder"

until=$(openssl x509 -noout -enddate -in "$folder/dask.pem")
echo "$folder: ca.pem, ca.key, dask.pem, dask.key; dask.pem is valid until ${until#notAfter=}"
