"""Plays a monitoring platform of TC609: annex A as it serves it, annex B as it asks for it.

It is written from the tables alone and shares no wire code with the agent that it judges. It owns
the tables as data, users and tokens, the signatures of requests, the database of projects, centres
and months, and the questions to centres with what came of them. `side` puts it together.
"""
