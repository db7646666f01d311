"""Look up every pinned version in a service of known vulnerabilities, through pip-audit."""

import json
import subprocess
import sys

SERVICES = ("osv", "pypi")


def audited(service: str, requirements: str) -> list[dict] | None:
    """Return what pip-audit says of each package; None if the service did not answer."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format=json"]
    done = subprocess.run(
        [*command, f"--vulnerability-service={service}", f"--requirement={requirements}"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"{service} gave no answer: {reason[:200]}")
        return None
    return packages if any("skip_reason" not in package for package in packages) else None


def main(requirements: str) -> int:
    """Print what is known; 1 if a pinned version is vulnerable."""
    for service in SERVICES:
        packages = audited(service, requirements)
        if packages is not None:
            break
    else:
        print(
            f"NOTHING WAS CHECKED: no vulnerability service ({', '.join(SERVICES)}) answers from "
            f"this machine. Run `make audit` where one does before a release."
        )
        return 0
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    print(f"{service}: {len(packages) - len(skipped)} of {len(packages)} packages were checked")
    if skipped:
        print(f"not known to the service: {', '.join(skipped)}")
    for package in vulnerable:
        for found in package["vulns"]:
            fixed = ", ".join(found.get("fix_versions", [])) or "no release yet"
            print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
