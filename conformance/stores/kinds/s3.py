"""What the two S3 servers share: looking into a bucket, and how an edge is told of it."""

ACCESS_KEY, SECRET_KEY = "AKIACONFORMANCE", "conformance-secret"
REGION = "us-east-1"
NAME = "conformance"


class Bucket:
    def __init__(self, server):
        import boto3
        from botocore.config import Config

        self.client = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )
        self.client.create_bucket(Bucket=NAME)

    def keys(self, prefix):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=NAME, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key):
        return self.client.get_object(Bucket=NAME, Key=key)["Body"].read()

    def write(self, key, data):
        self.client.put_object(Bucket=NAME, Key=key, Body=data)


def configuration(link, prefix):
    return f"""[storage.object]
url = "s3://{NAME}/{prefix}"
endpoint = "{link.url}"
region = "{REGION}"
access_key_id = "{ACCESS_KEY}"
secret_access_key = "{SECRET_KEY}"
lookup_timeout = "200ms"
"""
