"""AWS under its own names: a proxy whose other end is the AWS of the test, and the authority that vouches for it.

A client whose endpoints cannot be configured, or whose test does not configure them, asks iam.amazonaws.com.
With HTTPS_PROXY and SSL_CERT_FILE it gets here instead. No other name is let through.
"""

import datetime
import socket
import ssl
import threading

NAMES = ["*.amazonaws.com", "*.us-east-1.amazonaws.com"]


class AwsNames:
    def __init__(self, directory, aws_address):
        self.upstream = aws_address.rpartition("/")[2].split(":")
        self.authority = directory / "authority.pem"
        key = directory / "names.pem"
        make_certificates(self.authority, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(key)
        self.refused = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()

    def variables(self):
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.listener.getsockname()[1]}",
            "NO_PROXY": "127.0.0.1,localhost",
            "SSL_CERT_FILE": str(self.authority),
        }

    def end(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                asked = self.read_head(client)
                name = asked.split()[1].rpartition(":")[0]
                if not name.endswith(".amazonaws.com"):
                    self.refused.append(name)
                    client.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                    return
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with self.context.wrap_socket(client, server_side=True) as inside:
                    with socket.create_connection((self.upstream[0], int(self.upstream[1]))) as aws:
                        answers = threading.Thread(target=copy, args=(aws, inside), daemon=True)
                        answers.start()
                        copy(inside, aws)
                        answers.join()
            except OSError:
                # Whoever hung up knows.
                pass

    @staticmethod
    def read_head(client):
        head = b""
        while b"\r\n\r\n" not in head:
            got = client.recv(4096)
            if not got:
                raise OSError("hung up")
            head += got
        return head.decode("latin-1")


def copy(source, target):
    try:
        while got := source.recv(65536):
            target.sendall(got)
        target.shutdown(socket.SHUT_WR)
    except (OSError, ValueError):
        pass


def make_certificates(authority_path, key_path):
    # Of the test environment, which the caller has put on the path.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, key, issuer, signer, authority, names=()):
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            names = [x509.DNSName(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def named(name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("throw-away authority", root_key, "throw-away authority", root_key, True)
    leaf = certificate("throw-away AWS", key, "throw-away authority", root_key, False, NAMES)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authority_path.write_bytes(pem(root))
    key_path.write_bytes(private + pem(leaf))
