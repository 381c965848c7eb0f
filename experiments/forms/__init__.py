"""Forms clean what browsers send and report errors; the domain validates."""
